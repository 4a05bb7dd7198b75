import { defineConfig } from 'drizzle-kit';

/** `drizzle-kit generate` makes migrations from the tables; functions, views and comments are custom migrations. */
export default defineConfig({
  dialect: 'postgresql',
  schema: './src/events/tables.ts',
  out: './migrations',
});
