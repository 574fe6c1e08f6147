export { list, nearest, suggestion } from '#src/model/suggest.ts';
