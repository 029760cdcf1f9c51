// Command millrace is the operator's and developer's command line.
package main

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"millrace/internal/program"
)

func main() {
	os.Exit(program.Main("millrace", os.Stderr, func(ctx context.Context) error {
		return root().ExecuteContext(ctx) //nolint:contextcheck // cobra hands ctx to the commands
	}))
}

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "millrace",
		Short: "Run and operate Millrace, the background job worker platform",
		Long: `Millrace turns HTTP requests into durable jobs in Postgres and works them with retries.

Start with ` + "`millrace dev`" + `: it brings its own database and a sandbox gateway, and
submits a demonstration payment. The other commands talk to a running server
(MILLRACE_URL, MILLRACE_API_KEY) or to its database (DATABASE_URL).`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	return group(cmd, devCommand(), jobsCommand(), metricsCommand(), keysCommand(), tenantsCommand(), queuesCommand(), workersCommand(), encryptionCommand(), auditCommand(), migrateCommand(),
		benchCommand(), sandboxCommand(), scoreCommand(), phiCommand(), versionCommand())
}
