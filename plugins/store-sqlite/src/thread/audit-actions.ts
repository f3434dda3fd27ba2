import type { Statements } from './statements.ts';
import type { Condition } from './visibility.ts';

/** Records of an action or of those below it: `session` stands for itself and for all that begin with `session.`. */
export function actionCondition(column: string, action: string): Condition {
  const { from, to } = rangeBelow(action);
  return { sql: `(${column} = ? OR (${column} >= ? AND ${column} < ?))`, values: [action, from, to] };
}

/** The distinct actions of the trail that a filter stands for. Jumps from one to the next in the index: there are few. */
export function actionsUnder(statements: Statements, action: string): string[] {
  const { from, to } = rangeBelow(action);
  const rows = statements.all(
    `WITH RECURSIVE found (action) AS (
       SELECT min(action) FROM audit WHERE action >= ? AND action < ?
       UNION ALL
       SELECT (SELECT min(action) FROM audit WHERE action > found.action AND action < ?) FROM found WHERE found.action IS NOT NULL
     )
     SELECT action FROM found WHERE action IS NOT NULL`,
    from,
    to,
    to,
  );
  return [action, ...rows.map((row) => row.action as string)];
}

/** The slash is the character after the full stop. */
function rangeBelow(action: string): { readonly from: string; readonly to: string } {
  return { from: `${action}.`, to: `${action}/` };
}
