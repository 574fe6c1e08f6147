export { main as serve } from '#src/main.ts';
