/** The URIs of resources. */

/** The template of {@link outputUri}. */
export const OUTPUT_TEMPLATE = 'cellhouse://executions/{execution_id}/output';
/** The template of {@link imageUri}. */
export const IMAGE_TEMPLATE = 'cellhouse://executions/{execution_id}/images/{seq}';

/** The whole text output of an execution. */
export function outputUri(executionId: string): string {
  return `cellhouse://executions/${executionId}/output`;
}

/** An image of an execution. @param seq of the output that contains the image */
export function imageUri(executionId: string, seq: number): string {
  return `cellhouse://executions/${executionId}/images/${seq}`;
}
