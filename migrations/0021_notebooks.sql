CREATE TABLE "notebooks" (
	"id" uuid PRIMARY KEY NOT NULL,
	"version" integer NOT NULL,
	"tenant" text NOT NULL,
	"user_uuid" text NOT NULL,
	"context_id" uuid NOT NULL,
	"path" text NOT NULL,
	"name" text NOT NULL,
	"type" text NOT NULL,
	"opened_at" timestamp (3) with time zone NOT NULL,
	"closed_at" timestamp (3) with time zone
);
--> statement-breakpoint
CREATE INDEX "notebooks_open_idx" ON "notebooks" USING btree ("tenant","user_uuid") WHERE "notebooks"."closed_at" is null;