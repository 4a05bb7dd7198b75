CREATE TABLE "egress_counts" (
	"session_id" uuid NOT NULL,
	"minute" timestamp (3) with time zone NOT NULL,
	"host" text NOT NULL,
	"port" integer NOT NULL,
	"outcome" text NOT NULL,
	"connections" bigint NOT NULL,
	"sent_bytes" bigint NOT NULL,
	"received_bytes" bigint NOT NULL,
	CONSTRAINT "egress_counts_pkey" PRIMARY KEY("session_id","minute","host","port","outcome")
);
--> statement-breakpoint
CREATE INDEX "egress_counts_minute_idx" ON "egress_counts" USING btree ("minute");