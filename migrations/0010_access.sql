CREATE TABLE "tokens" (
	"id" uuid PRIMARY KEY NOT NULL,
	"version" integer NOT NULL,
	"name" text NOT NULL,
	"role" text NOT NULL,
	"tenant" text NOT NULL,
	"user_uuid" text,
	"user_prefix" text,
	"door" text,
	"created_at" timestamp (3) with time zone NOT NULL,
	"expires_at" timestamp (3) with time zone,
	"secret_sha256" text NOT NULL,
	"former_sha256" text,
	"former_until" timestamp (3) with time zone,
	"revoked_at" timestamp (3) with time zone,
	"revoke_reason" text
);
--> statement-breakpoint
CREATE UNIQUE INDEX "tokens_secret_key" ON "tokens" USING btree ("secret_sha256");--> statement-breakpoint
CREATE INDEX "tokens_former_idx" ON "tokens" USING btree ("former_sha256");