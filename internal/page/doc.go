// Package page answers browsers on the private listener: what operators and auditors look at.
//
// It knows nothing but the HTTP API. Each view asks the operations of api/openapi.yaml in this
// process, with the token of the browser, and so can do what that token can do and no more: a
// service can do the same. An operation records in ACTIONS a change by the page as any other.
//
// A view is a function of Page in a file of its own, with a row in Page.routes, and a template of
// its name in templates. Templates whose name begins with an underscore are parts that all may use.
// Styles and scripts are all files of assets/css and assets/js, by name. Each view works without
// scripts. The frame of all views is templates/_frame.html.
//
// Text from outside goes through the functions inert or lines of the templates, which show what a
// browser would obey or hide.
package page
