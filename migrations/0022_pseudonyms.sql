CREATE TABLE "pseudonyms" (
	"tenant" text NOT NULL,
	"user_uuid" text NOT NULL,
	"pseudonym" text NOT NULL,
	CONSTRAINT "pseudonyms_pkey" PRIMARY KEY("tenant","user_uuid")
);
--> statement-breakpoint
ALTER TABLE "removals" ALTER COLUMN "before" DROP NOT NULL;--> statement-breakpoint
ALTER TABLE "removals" ADD COLUMN "pseudonym" text;