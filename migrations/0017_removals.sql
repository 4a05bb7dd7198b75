CREATE TABLE "event_removals" (
	"position" bigint NOT NULL,
	"removal_id" uuid NOT NULL,
	"leaf" "bytea",
	CONSTRAINT "event_removals_pkey" PRIMARY KEY("position","removal_id")
);
--> statement-breakpoint
CREATE TABLE "removals" (
	"id" uuid PRIMARY KEY NOT NULL,
	"version" integer NOT NULL,
	"reason" text NOT NULL,
	"before" timestamp (3) with time zone NOT NULL,
	"streams" integer NOT NULL,
	"events" integer NOT NULL,
	"outputs" integer NOT NULL,
	"is_archived" boolean NOT NULL,
	"digest" text NOT NULL,
	"removed_at" timestamp (3) with time zone NOT NULL
);
