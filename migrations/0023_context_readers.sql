CREATE TABLE "context_readers" (
	"context_id" uuid NOT NULL,
	"reader" text NOT NULL,
	"session_id" uuid NOT NULL,
	"position" bigint NOT NULL,
	"seq" integer NOT NULL,
	"reached_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "context_readers_pkey" PRIMARY KEY("context_id","reader")
);
