/** An expression that a notebook wants to have evaluated after a cell that ended OK. */
export interface UserExpression {
  readonly name: string;
  readonly code: string;
}

/** The result of one expression. */
export type ExpressionResult =
  | {
      readonly status: 'ok';
      /** Values by MIME type. */
      readonly data: Readonly<Record<string, unknown>>;
      readonly metadata: Readonly<Record<string, unknown>>;
    }
  | {
      readonly status: 'error';
      readonly name: string;
      readonly value: string;
      readonly traceback: readonly string[];
    };
