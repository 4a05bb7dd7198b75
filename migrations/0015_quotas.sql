CREATE TABLE "quotas" (
	"id" uuid PRIMARY KEY NOT NULL,
	"version" integer NOT NULL,
	"tenant" text NOT NULL,
	"user_uuid" text,
	"kind" text NOT NULL,
	"maximum" bigint,
	"set_at" timestamp (3) with time zone NOT NULL
);
