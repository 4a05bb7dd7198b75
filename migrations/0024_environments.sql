CREATE TABLE "environments" (
	"id" uuid PRIMARY KEY NOT NULL,
	"version" integer NOT NULL,
	"name" text NOT NULL,
	"number" integer NOT NULL,
	"state" text NOT NULL,
	"reason" text NOT NULL,
	"spec" jsonb NOT NULL,
	"base_image_id" text NOT NULL,
	"hash" text NOT NULL,
	"requested_at" timestamp (3) with time zone NOT NULL,
	"finished_at" timestamp (3) with time zone,
	"image_id" text,
	"bytes" bigint,
	"packages" jsonb NOT NULL,
	"failure" text,
	"last_lines" text,
	"removed_at" timestamp (3) with time zone,
	"remove_reason" text,
	CONSTRAINT "environments_number_key" UNIQUE("name","number")
);
--> statement-breakpoint
CREATE INDEX "environments_present_idx" ON "environments" USING btree ("name") WHERE "environments"."removed_at" is null;