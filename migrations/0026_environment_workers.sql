CREATE TABLE "environment_uses" (
	"name" text PRIMARY KEY NOT NULL,
	"asked_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
ALTER TABLE "sessions" ADD COLUMN "environment" text;--> statement-breakpoint
ALTER TABLE "workers" ADD COLUMN "environment_id" uuid;