CREATE TABLE "pruned_streams" (
	"stream_id" text PRIMARY KEY NOT NULL,
	"pruned_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
