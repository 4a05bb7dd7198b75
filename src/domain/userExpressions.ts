/** What a notebook asks to have evaluated beside a cell, after the cell has ended well. */
export interface UserExpression {
  readonly name: string;
  readonly code: string;
}

/** What became of one of them. */
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
