/** Units of the grid. Plain numbers at run time; the alias says which one is meant. */

/** A point or span of time in milliseconds, from the injected monotonic clock. */
export type Millis = number;
/** Model tokens. */
export type Tokens = number;
/** United States dollars. */
export type Usd = number;
/** United States dollars per one million tokens. */
export type UsdPerMTok = number;
/** Index of an endpoint's row in the endpoint table, 0..capacity-1; -1 is "none". */
export type Row = number;
