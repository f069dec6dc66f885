// The views, each with its address in a scene, what must be on it, and the scopes that open it. One
// with image is in the documentation.
export const views = ({ jobs, callbacks }) => [
  { name: 'overview', path: '/', scopes: [], image: 'page-overview', heading: 'Overview', shows: ['Sources', 'Callbacks a minute'] },

  { name: 'jobs', path: '/jobs', scopes: ['read'], heading: 'Jobs', shows: [jobs.good, jobs.running, jobs.overdue, 'overdue', '12 of 40', 'Search'] },
  { name: 'jobs, searched', path: '/jobs?result=partial', scopes: ['read'], heading: 'Jobs', shows: [jobs.partly] },
  { name: 'jobs, none', path: '/jobs?text=no+job+has+this', scopes: ['read'], heading: 'Jobs', shows: [/None/] },
  { name: 'job, partly', path: `/jobs/crm/${jobs.partly}`, scopes: ['read'], image: 'page-job', heading: `Job ${jobs.partly}`, shows: ['12 of 40', 'Timeline', 'Submitted', 'Files gone', 'order', 'Conflicts Found'] },
  { name: 'job, retried', path: `/jobs/crm/${jobs.retried}`, scopes: ['read'], heading: `Job ${jobs.retried}`, shows: ['mismatch'] },
  { name: 'job, conflict', path: `/jobs/crm/${jobs.conflict}`, scopes: ['read'], heading: `Job ${jobs.conflict}`, shows: [/conflict/i] },
  { name: 'job, overdue', path: `/jobs/legacy/${jobs.overdue}`, scopes: ['read'], heading: `Job ${jobs.overdue}`, shows: [/overdue/i, 'Next poll', 'Poll now', 'Cancel'] },
  { name: 'job, its result', path: `/jobs/crm/${jobs.partly}?show=result`, scopes: ['read'], heading: `Job ${jobs.partly}`, shows: ['ada12@example.com'] },
  { name: 'job, unknown', path: '/jobs/crm/1', status: 404, scopes: ['read'], heading: 'Job 1', shows: ['No event'] },

  { name: 'callbacks', path: '/callbacks', scopes: ['audit'], heading: 'Callbacks', shows: ['refused', 'mismatch', 'accepted', 'duplicate', 'unknown: nowhere', 'key-2026', 'Export'] },
  { name: 'callbacks, searched', path: `/callbacks?job=${jobs.conflict}`, scopes: ['audit'], heading: 'Callbacks', shows: [jobs.conflict] },
  { name: 'callbacks, none', path: '/callbacks?job=no-job-has-this', scopes: ['audit'], heading: 'Callbacks', shows: ['Nothing found'] },
  { name: 'callbacks, wrong', path: '/callbacks?address=nonsense', status: 400, scopes: ['audit'], heading: 'Callbacks', shows: ['nonsense'] },
  { name: 'callback, accepted', path: `/callbacks/${callbacks.finished}`, scopes: ['audit'], heading: 'Callback', shows: ['accepted', jobs.good, 'COMPLETED', 'key-2026', 'sealed', 'Headers', /Elements-Webhook-Signature/i] },
  { name: 'callback, refused', path: `/callbacks/${callbacks['line feed']}`, scopes: ['audit'], image: 'page-callback', press: /^Verify again/, height: 1000, heading: 'Callback', shows: ['refused', 'mismatch', 'COMPLETED', 'Verify again'] },
  { name: 'callback, large', path: `/callbacks/${callbacks.large}`, scopes: ['audit'], heading: 'Callback', shows: ['key-2025', 'a word and another', 'are shown'] },
  { name: 'callback, no JSON', path: `/callbacks/${callbacks.unrecognised}`, scopes: ['audit'], heading: 'Callback', shows: ['unrecognised', '<html>'] },
  { name: 'callback, an action', path: `/callbacks/${callbacks.action}`, scopes: ['audit'], heading: 'Action', shows: ['Operator'] },
  { name: 'callback, none', path: '/callbacks/JOBS/999999', status: 404, scopes: ['audit'], heading: '', shows: ['404'] },
  { name: 'actions', path: '/actions', scopes: ['audit'], heading: 'Actions', shows: ['the consumer lost it', 'operator'] },

  { name: 'submit', path: '/submit', scopes: ['submit', 'read'], heading: 'Submit', shows: ['Source', 'Choose'] },
  { name: 'submit, an object', path: '/submit?source=crm', scopes: ['submit', 'read'], heading: 'Submit', shows: ['Object'] },
  { name: 'submit, a file', path: '/submit?source=crm&object=contact', scopes: ['submit', 'read'], heading: 'Submit', shows: ['CSV file', 'Upload', 'fields'], bare: ['Only check'] },

  { name: 'traffic', path: '/traffic', scopes: ['read'], heading: 'Callbacks a minute', shows: [/mismatch/] },
  { name: 'keys', path: '/sources/crm', scopes: ['audit'], heading: 'Keys of crm', shows: ['key-2026', 'key-2025'] },
  { name: 'evidence', path: '/evidence', scopes: ['audit'], heading: 'Evidence', shows: ['JOBS', 'ATTEMPTS', 'witness'] },
  { name: 'checkpoints', path: '/evidence/JOBS', scopes: ['audit'], heading: 'Checkpoints of JOBS', shows: ['witness'] },
  { name: 'certificate', path: `/evidence/${callbacks.finished}`, scopes: ['audit'], image: 'page-certificate', from: 430, height: 930, heading: 'Certificate of', shows: [callbacks.finished, 'key-2026', 'witness.example/w1', 'receiver audit check'] },
  { name: 'certificate of a refused one', path: `/evidence/${callbacks['line feed']}`, scopes: ['audit'], heading: 'Certificate of', shows: ['mismatch'] },

  { name: 'forwarding', path: '/forwarding', scopes: ['read'], heading: 'Forwarding', shows: ['orders', 'Retried'] },
  { name: 'sink', path: '/forwarding/orders', scopes: ['read'], heading: 'Sink orders', shows: [jobs.stuck] },

  { name: 'check', path: '/check', scopes: [], heading: 'Check a bundle', shows: ['SHA-256', 'Save the file'] },
];
