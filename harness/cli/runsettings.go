package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bittern/harness/suite"
	"bittern/internal/host"
	"bittern/plugins"
)

// runSettings are the flags of commands that run a suite.
type runSettings struct {
	pluginSettings `mapstructure:",squash"`
	natsSettings   `mapstructure:",squash"`

	Suite       string        `mapstructure:"suite"`
	Tasks       []string      `mapstructure:"task"`
	Data        string        `mapstructure:"data"`
	Runs        string        `mapstructure:"runs"`
	Seeds       []uint64      `mapstructure:"seeds"`
	Threads     *int          `mapstructure:"threads"`
	Epochs      *int          `mapstructure:"epochs"`
	Steps       *int          `mapstructure:"steps"`
	Arithmetic  string        `mapstructure:"arithmetic"`
	Budget      time.Duration `mapstructure:"budget"`
	Bytes       *int          `mapstructure:"bytes"`
	Draws       *int          `mapstructure:"draws"`
	Calibration *int          `mapstructure:"calibration"`
	Backends    []string      `mapstructure:"backends"`
	Jobs        int           `mapstructure:"jobs"`
	Again       bool          `mapstructure:"again"`
	Deadline    time.Duration `mapstructure:"deadline"`
	Format      string        `mapstructure:"format"`
	Output      string        `mapstructure:"output"`
	Columns     []string      `mapstructure:"columns"`
	Sort        string        `mapstructure:"sort"`
	GroupBy     string        `mapstructure:"group-by"`
	Parts       bool          `mapstructure:"parts"`
	Wide        bool          `mapstructure:"wide"`
	Watch       bool          `mapstructure:"watch"`
	Address     string        `mapstructure:"address"`
	Open        bool          `mapstructure:"open"`

	workers   int    // processes on this machine that run the experiments; 0 = this process runs them
	oneClass  bool   // of machines, for all experiments
	plan      string // file of a plan, by which workers are given the longest experiments first; may be empty
	trained   bool   // freeze and deploy only networks that are trained already
	untrained bool   // deploy networks with their starting weights
	hardware  bool   // print only tables of networks on backends
}

// maxJobs is how many experiments can run at a time. Each has two processes and its tensors in
// shared memory, and no machine that runs Bittern can use more.
const maxJobs = 256

// defaultRuns is the folder of run stores in the working directory.
const defaultRuns = "runs"

func defaults() runSettings {
	return runSettings{Runs: defaultRuns, Jobs: 1, Deadline: host.DefaultDeadline, Address: defaultAddress}
}

func runFlags(command *cobra.Command) {
	command.Flags().Bool("again", defaults().Again, "train experiments afresh that are finished")
	experimentFlags(command)
}

// experimentFlags adds the flags of commands that run the experiments of a suite.
func experimentFlags(command *cobra.Command) {
	command.Flags().Int("jobs", defaults().Jobs, fmt.Sprintf("experiments to run at a time, at most %d", maxJobs))
	command.Flags().Bool("watch", false, "serve a page with progress and results meanwhile, as bittern watch does")
	addressFlags(command)
	suiteSettingFlags(command)
	reportFlags(command)
}

// suiteSettingFlags adds the flags of commands that need the experiments of a suite: those that
// replace its settings, and those that name folders of data and plugins.
func suiteSettingFlags(command *cobra.Command) {
	flags := command.Flags()
	flags.StringSlice("seeds", nil, "seeds in place of the suite's, as in 1,2,3")
	flags.Int("threads", 0, "workers of a model in place of the suite's")
	flags.Int("epochs", 0, "epochs in place of the suite's")
	flags.Int("steps", 0, "at most this many training steps, in place of the suite's cap")
	flags.Duration("budget", 0, "training time of each experiment, such as 2m, which a short calibration turns into training steps; they are kept in the run store, and --steps repeats them elsewhere")
	flags.Int("bytes", 0, "use only the first bytes of each text, for a quick look; 0 is all")
	flags.Int("draws", 0, "how often a freeze draws the weights, in place of the suite's; the best draw is deployed")
	flags.Int("calibration", 0, "training batches that deployed statistics are gathered over, in place of the suite's")
	flags.StringSlice("backends", nil, "backends to deploy on in place of the suite's: its labels, or names of plugins")
	flags.Duration("deadline", defaults().Deadline, "how long one call to a plugin may take before it counts as hung")
	arithmeticFlag(command)
	dataFlags(command)
	pluginFlags(command)
}

func runsFlag(command *cobra.Command) {
	command.Flags().String("runs", defaultRuns, "folder of the run store")
}

func suiteFlag(command *cobra.Command) {
	command.Flags().String("suite", "", "one of "+strings.Join(suite.Names(), ", ")+", or the path of a suite file")
}

// checkSuite returns an error if no suite is named.
func (s runSettings) checkSuite() error {
	if s.Suite == "" {
		return plugins.Problemf("name a suite with --suite: one of %s, or the path of a suite file", strings.Join(suite.Names(), ", "))
	}
	return nil
}

func (s runSettings) check() error {
	if err := s.checkSuite(); err != nil {
		return err
	}
	if s.Jobs < 1 || s.Jobs > maxJobs {
		return plugins.Problemf("--jobs must be between 1 and %d, not %d", maxJobs, s.Jobs)
	}
	if s.Deadline <= 0 {
		return plugins.Problemf("--deadline must be more than 0, such as 10m, not %s", s.Deadline)
	}
	if s.Budget < 0 {
		return plugins.Problemf("--budget must be more than 0, such as 2m, not %s", s.Budget)
	}
	if s.Open && !s.Watch {
		return plugins.Problemf("--open opens the page that --watch serves; give --watch too")
	}
	if err := s.checkWorkers(); err != nil {
		return err
	}
	if s.Budget > 0 && s.Steps != nil {
		return plugins.Problemf("--budget and --steps both say how long to train; give one of them")
	}
	return s.checkReport()
}
