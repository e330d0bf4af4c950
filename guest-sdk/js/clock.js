// A component has no clock and no randomness. The engine would trap without a word, or give the
// same "random" numbers in every job; so that both say what to use instead, they are replaced.
// `wit` is a global of the engine: under Node, where tests run, everything stays.

/** Replaces the clocks and the randomness of a global object by errors. */
export function forbidClockAndRandomness(scope) {
  const noClock = () => {
    throw new Error("a plugin has no clock: use job.snapshotAtUs");
  };
  const TheDate = scope.Date;
  scope.Date = new Proxy(TheDate, {
    apply: noClock,
    construct: (target, values, newTarget) =>
      values.length === 0 ? noClock() : Reflect.construct(target, values, newTarget),
    get: (target, key) => (key === "now" ? noClock : Reflect.get(target, key)),
  });
  scope.performance = { now: noClock };
  scope.Math.random = () => {
    throw new Error("a plugin has no randomness: use job.seed");
  };
}
