// What `import "tokenfall"` gives: the mock for tests, and the fetch that resumes.

/** @typedef {Awaited<ReturnType<typeof import("./mock.mjs").startMock>>} Mock */
/** @typedef {ReturnType<Mock["session"]>} Session */
/** @typedef {import("./mock.mjs").Options} Options */
/** @typedef {import("./mock.mjs").Asked} Asked */

export { findBinary } from "./binary.mjs";
export { startMock } from "./mock.mjs";
export { resumingFetch } from "./resume.mjs";
