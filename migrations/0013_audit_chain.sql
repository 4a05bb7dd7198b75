CREATE TABLE "chain_days" (
	"day" date PRIMARY KEY NOT NULL,
	"position" bigint NOT NULL,
	"head" "bytea" NOT NULL,
	"closed_at" timestamp (3) with time zone NOT NULL,
	"gateway_id" text NOT NULL
);
--> statement-breakpoint
CREATE TABLE "chain_head" (
	"is_only" boolean PRIMARY KEY DEFAULT true NOT NULL,
	"chain_id" uuid NOT NULL,
	"position" bigint NOT NULL,
	"head" "bytea" NOT NULL,
	"open_day" date
);
--> statement-breakpoint
CREATE TABLE "event_links" (
	"position" bigint PRIMARY KEY NOT NULL,
	"leaf" "bytea" NOT NULL,
	"salt" "bytea",
	"tenant" text,
	"number" bigint
);
--> statement-breakpoint
CREATE UNIQUE INDEX "event_links_tenant_key" ON "event_links" USING btree ("tenant","number") WHERE "event_links"."tenant" is not null;