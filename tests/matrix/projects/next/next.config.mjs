export default {
  reactStrictMode: true,
  // Other lock files lie above this folder.
  outputFileTracingRoot: import.meta.dirname,
  turbopack: { root: import.meta.dirname },
};
