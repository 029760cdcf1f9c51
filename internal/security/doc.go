// Package security holds the suites that attack Millrace as a whole, each file
// named after what it proves; docs/security-tests.md lists which risk has which
// test. There is nothing here but tests: what they find is put right where it is.
//
//	tenants_test.go    one tenant attacks another through every route
//	statements_test.go and learns nothing from how long an answer takes
//	webhooks_test.go   or through the callbacks of the vendors
//	roles_test.go      the same in SQL, as the programs' roles
//	canary_test.go     marked personal data is searched wherever it must not be
//	owasp_test.go      OWASP API Security Top 10 (2023), one test a risk
//	limits_test.go     and what floods it: requests, people, waiting jobs
//	fuzz_test.go       foreign bytes for intake and for reads, on a real database
//	pgbouncer_test.go  the programs through PgBouncer in transaction mode
//
// The lists that the suites walk are the product's own: routes come from the
// OpenAPI document of the running server, kinds from the catalogue, tables and
// functions from the database. What is new there fails a suite until somebody has
// said how it is to be attacked.
package security
