CREATE TABLE "refused_calls" (
	"minute" timestamp (3) with time zone NOT NULL,
	"token" text NOT NULL,
	"operation" text NOT NULL,
	"code" text NOT NULL,
	"count" bigint NOT NULL,
	CONSTRAINT "refused_calls_minute_token_operation_code_pk" PRIMARY KEY("minute","token","operation","code")
);
