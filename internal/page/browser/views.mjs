// The views, each with its address in a scene, what must be on it, and the scopes that open it.
export const views = (s) => [
  { name: 'overview', path: '/', scopes: ['read'], heading: 'Overview', shows: ['Sources', 'Callbacks a minute'] },
  { name: 'jobs', path: '/jobs', scopes: ['read'], heading: 'Jobs', shows: [s.jobs.good, s.jobs.running, s.jobs.overdue, 'overdue', '12 of 40', 'Search'] },
  { name: 'jobs, searched', path: '/jobs?result=partial', scopes: ['read'], heading: 'Jobs', shows: [s.jobs.partly] },
  { name: 'jobs, none', path: '/jobs?text=no+job+has+this', scopes: ['read'], heading: 'Jobs', shows: [/None/] },
  { name: 'job, partly', path: `/jobs/crm/${s.jobs.partly}`, scopes: ['read'], heading: `Job ${s.jobs.partly}`, shows: ['12 of 40', 'Timeline', 'Submitted', 'Files gone', 'order', 'Conflicts Found'] },
  { name: 'job, retried', path: `/jobs/crm/${s.jobs.retried}`, scopes: ['read'], heading: `Job ${s.jobs.retried}`, shows: ['mismatch'] },
  { name: 'job, conflict', path: `/jobs/crm/${s.jobs.conflict}`, scopes: ['read'], heading: `Job ${s.jobs.conflict}`, shows: [/conflict/i] },
  { name: 'job, overdue', path: `/jobs/legacy/${s.jobs.overdue}`, scopes: ['read'], heading: `Job ${s.jobs.overdue}`, shows: [/overdue/i, 'Next poll', 'Poll now', 'Cancel'] },
  { name: 'job, unknown', path: '/jobs/crm/1', status: 404, scopes: ['read'], heading: 'Job 1', shows: ['No event'] },
];
