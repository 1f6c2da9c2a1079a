package cli

import (
	"cmp"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"bittern/harness/cluster"
	"bittern/harness/provenance"
	"bittern/internal/host"
	"bittern/plugins"
	"bittern/reports/table"
)

// workerSettings are the flags of worker.
type workerSettings struct {
	pluginSettings `mapstructure:",squash"`
	natsSettings   `mapstructure:",squash"`
	Data           string        `mapstructure:"data"`
	Deadline       time.Duration `mapstructure:"deadline"`
	Attached       bool          `mapstructure:"attached"`
}

func (p *program) workerCommand() *cobra.Command {
	command := &cobra.Command{
		Use: "worker --nats URL", Short: "Run experiments that runs on other machines hand out", Args: noArguments,
		Long: `Worker takes experiments from the queue of a NATS server with JetStream, one at a time,
and gives back what it finds; "bittern run --nats URL" puts them there. Start as many
as you like, on as many machines; each needs the same version of Bittern, the data sets, and
the external plugins of the suite with the same checksums. A worker runs no plugin that
it does not have itself. An experiment whose worker dies is gone on with by another, from its last
checkpoint. It ends on Ctrl-C, after it has saved what it is doing.`,
		Example: `  bittern worker --nats nats://host:4222 --data DIR
  bittern worker --nats tls://host:4222 --nats-creds lab.creds --nats-tls-ca ca.pem
  BITTERN_NATS=nats://host:4222 bittern worker --plugins DIR`,
		RunE: func(command *cobra.Command, _ []string) error {
			settings := workerSettings{Deadline: host.DefaultDeadline}
			if err := settle(command, &settings); err != nil {
				return err
			}
			return p.worker(command, settings)
		},
	}
	command.Flags().Duration("deadline", host.DefaultDeadline, "how long one call to a plugin may take before it counts as hung")
	command.Flags().Bool("attached", false, "end when standard input does")
	if err := command.Flags().MarkHidden("attached"); err != nil {
		panic(err) // there is no such flag
	}
	dataFlags(command)
	pluginFlags(command)
	natsFlags(command)
	return command
}

func (p *program) worker(command *cobra.Command, settings workerSettings) error {
	if settings.Deadline <= 0 {
		return plugins.Problemf("--deadline must be more than 0, such as 10m, not %s", settings.Deadline)
	}
	ctx := command.Context()
	if settings.Attached {
		ctx = untilStdin(ctx)
	}
	catalogue, err := p.catalogue(settings.pluginSettings)
	if err != nil {
		return err
	}
	c, err := settings.connect(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	p.goOn = "another worker goes on with what this one was doing"
	w := cluster.Worker{
		Cluster: c, Catalogue: catalogue, Data: settings.Data, Machine: provenance.Collect(ctx),
		Deadline: settings.Deadline, Verbose: settings.Verbose,
		Log: func(line string) { fmt.Fprintln(p.stderr, oneLine(line)) },
	}
	return w.Work(ctx)
}

// workersSettings are the flags of workers.
type workersSettings struct {
	listSettings `mapstructure:",squash"`
	natsSettings `mapstructure:",squash"`
}

func (p *program) workersCommand() *cobra.Command {
	command := &cobra.Command{
		Use: "workers --nats URL", Short: "List the workers of a NATS server: what they are and what they do", Args: noArguments,
		Example: `  bittern workers --nats nats://host:4222
  bittern workers --nats nats://host:4222 --format json`,
		RunE: func(command *cobra.Command, _ []string) error {
			var settings workersSettings
			if err := settle(command, &settings); err != nil {
				return err
			}
			if err := settings.listSettings.check(); err != nil {
				return err
			}
			return p.workers(command, settings)
		},
	}
	listFlags(command)
	natsFlags(command)
	return command
}

func (p *program) workers(command *cobra.Command, settings workersSettings) error {
	c, err := settings.connect(command.Context())
	if err != nil {
		return err
	}
	defer c.Close()
	members, err := c.Members(command.Context())
	if err != nil {
		return err
	}
	if settings.Format == formatJSON {
		if members == nil {
			members = []cluster.Member{} // an empty list is one
		}
		return p.json(members)
	}
	if len(members) == 0 {
		return p.writeParagraph("No worker is connected; start some with bittern worker --nats URL.", settings.listSettings)
	}
	t := table.New("host", "process", "class", "cores", "experiment", "stage", "step", "targets/s", "seen")
	t.AlignRight(1, 3, 6, 7)
	t.Fold(4)
	for i, column := range []int{3, 7, 6, 1} {
		t.Rank(i+1, column)
	}
	for _, m := range members {
		name, step, speed := "waits for one", "", ""
		if m.Name != "" {
			name = m.Name
		}
		if m.Steps > 0 {
			step = fmt.Sprintf("%d of %d", m.Step, m.Steps)
		}
		if m.Speed > 0 {
			speed = strconv.FormatFloat(m.Speed, 'f', 0, 64)
		}
		seen := time.Since(m.Seen).Round(time.Second).String() + " ago"
		if err := t.Append(m.Host, strconv.Itoa(m.PID), cmp.Or(m.Class, "n/a, "+m.ISA), strconv.Itoa(m.Cores), name, m.Stage, step, speed, seen); err != nil {
			return err
		}
	}
	return p.writeTable(t, settings.listSettings)
}
