CREATE TABLE "waiting_requests" (
	"gateway_id" uuid PRIMARY KEY NOT NULL,
	"count" integer NOT NULL
);
