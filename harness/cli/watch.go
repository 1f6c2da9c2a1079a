package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/cli/browser"
	"github.com/spf13/cobra"

	"bittern/harness/suite"
	"bittern/reports"
	"bittern/reports/watch"
)

// watchSettings are the flags of watch.
type watchSettings struct {
	Suite   string `mapstructure:"suite"`
	Runs    string `mapstructure:"runs"`
	Address string `mapstructure:"address"`
	Open    bool   `mapstructure:"open"`
}

// defaultAddress is a free port on the loopback address.
const defaultAddress = "127.0.0.1:0"

func addressFlags(command *cobra.Command) {
	flags := command.Flags()
	flags.String("address", defaultAddress, "loopback address and port to serve the page on; port 0 is any that is free")
	flags.Bool("open", false, "open the page in the browser")
	offer(command, "address", defaultAddress, "127.0.0.1:8080")
}

func (p *program) watchCommand() *cobra.Command {
	command := &cobra.Command{
		Use: "watch [--suite NAME|FILE]", Short: "Serve a page with the progress and the results of a suite while it is run", Args: noArguments,
		Long: `Watch serves the page of "report --format html" live, for a browser on this machine: how
far every experiment has come, the training loss as it falls, failures with their
reason, and the tables and plots of what is finished. It reads the run store while
another process writes it, and writes nothing. Without --suite it shows the suite that
was run last, with links to the others. It ends on Ctrl-C.

"bittern run --watch" does the same within the run.`,
		Example: `  bittern watch
  bittern watch --suite char-small --runs DIR --open
  bittern watch --address 127.0.0.1:8080
  bittern run --suite char-small --data DIR --watch --open`,
		RunE: func(command *cobra.Command, _ []string) error {
			settings := watchSettings{Runs: defaultRuns, Address: defaultAddress}
			if err := settle(command, &settings); err != nil {
				return err
			}
			return p.watch(command.Context(), settings)
		},
	}
	suiteFlag(command)
	runsFlag(command)
	addressFlags(command)
	return command
}

func (p *program) watch(ctx context.Context, settings watchSettings) error {
	options := watch.Options{Runs: settings.Runs, Command: "bittern run --suite NAME"}
	if settings.Suite != "" {
		var err error
		if options.Suite, options.Entries, err = watched(ctx, settings); err != nil {
			return err
		}
		options.Command = "bittern run --suite " + settings.Suite
	}
	if settings.Runs != defaultRuns {
		options.Command += " --runs " + settings.Runs
	}
	listener, err := watch.Listen(settings.Address)
	if err != nil {
		return err
	}
	p.announce(listener, settings.Open)
	return watch.New(options).Serve(ctx, listener) // returns nil after an interrupt
}

// watchRun serves the page of a run, if the settings say so. The function that it returns closes
// the page, after open browsers have seen the end of the run.
func (p *program) watchRun(ctx context.Context, settings runSettings, s *suite.Suite) (closePage func() error, err error) {
	if !settings.Watch {
		return func() error { return nil }, nil
	}
	listener, err := watch.Listen(settings.Address)
	if err != nil {
		return nil, err
	}
	p.announce(listener, settings.Open)
	server := watch.New(watch.Options{Runs: settings.Runs, Suite: s.Name, Entries: entriesOf(s), Command: "bittern run --suite " + settings.Suite})
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx)) // an interrupted run is served until it is saved
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, listener) }()
	return func() error {
		server.End()
		stop()
		return <-ended
	}, nil
}

// announce prints where the page is, and opens it if the user asked for that. Without a browser
// it says so, since the user can open the address.
func (p *program) announce(listener net.Listener, open bool) {
	url := "http://" + listener.Addr().String() + "/"
	fmt.Fprintf(p.stderr, "the page is at %s\n", url)
	if !open {
		return
	}
	browser.Stdout, browser.Stderr = p.stderr, p.stderr
	if err := browser.OpenURL(url); err != nil {
		fmt.Fprintf(p.stderr, "no browser could be opened (%s); open the address yourself\n", oneLine(err.Error()))
	}
}

// watched returns the name of the suite and the combinations that it lists. The suite need not
// have been run yet if it comes with the program or has a file.
func watched(ctx context.Context, settings watchSettings) (name string, entries []reports.Entry, err error) {
	s, loading := suite.Load(settings.Suite)
	runs, err := existing(ctx, settings.Runs)
	if err != nil {
		return "", nil, err
	}
	if runs != nil {
		names, err := runs.Suites(ctx)
		if err = errors.Join(err, runs.Close()); err != nil {
			return "", nil, err
		}
		if slices.Contains(names, settings.Suite) && (loading != nil || s.Name != settings.Suite) {
			return settings.Suite, nil, nil
		}
	}
	if loading != nil {
		return "", nil, loading
	}
	return s.Name, entriesOf(s), nil
}
