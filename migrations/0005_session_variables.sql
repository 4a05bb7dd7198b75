CREATE TABLE "session_variables" (
	"session_id" uuid NOT NULL,
	"name" text NOT NULL,
	"value" text NOT NULL,
	CONSTRAINT "session_variables_pkey" PRIMARY KEY("session_id","name")
);
