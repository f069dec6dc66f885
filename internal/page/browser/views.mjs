// The views, each with its address in a scene, what must be on it, and the scopes that open it.
export const views = (s) => [
  { name: 'overview', path: '/', scopes: ['read'], heading: 'Overview', shows: [] },
];
