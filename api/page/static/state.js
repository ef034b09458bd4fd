// What the page knows: the picture, how far the stream has been read, and the server's clock.

/** `skew` is how far the server's clock is ahead, in seconds. */
export const known = { picture: null, id: "", skew: 0 };

/** Seconds since the epoch, by the server's clock. */
export function now() {
  return Date.now() / 1000 + known.skew;
}
