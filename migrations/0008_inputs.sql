CREATE TABLE "execution_inputs" (
	"execution_id" uuid NOT NULL,
	"input_offset" bigint NOT NULL,
	"base64" text NOT NULL,
	CONSTRAINT "execution_inputs_pkey" PRIMARY KEY("execution_id","input_offset")
);
--> statement-breakpoint
ALTER TABLE "executions" ADD COLUMN "input_closed" boolean DEFAULT false NOT NULL;