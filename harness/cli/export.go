package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"bittern/harness/export"
	"bittern/harness/export/onnx"
	"bittern/harness/provenance"
	"bittern/harness/store"
	"bittern/plugins"
	"bittern/reports/table"
)

// exportSettings are the flags of export.
type exportSettings struct {
	choice  `mapstructure:",squash"`
	Format  string `mapstructure:"format"`
	Weights string `mapstructure:"weights"`
	Carried bool   `mapstructure:"carried"`
	Output  string `mapstructure:"output"`
	Force   bool   `mapstructure:"force"`
}

func (p *program) exportCommand() *cobra.Command {
	command := &cobra.Command{
		Use: "export [ID]", Short: "Write a trained network as ONNX, safetensors or NumPy's npz",
		Long: `Export writes the deployed network of one experiment, as it was packed, to a file. Name the
experiment by its ID or the first digits of it, which "bittern export list" shows, or by its
suite and as many of its labels as tell it apart.

onnx is the network itself: LSTM and GRU operators where it is made of them, Scan where it is
not. Tokens, lengths and candidates are int32, logits float32, time first: [steps, sequences,
classes]. With --carried it also takes and gives out the states, so that a sequence can go on.
safetensors and npz have its numbers: of each weight either weight/NAME/values or, of each
plane, weight/NAME/codes/PLANE with levels and scales (a weight is the sum over its planes of
scale times level); table/STAGE/NODE/scale and shift, a row for each time step; and
state/STAGE/NAME. The program that they belong to is JSON in the metadata, which in npz is the
text of the array "metadata".

--weights says how quantized weights are stored:
  packed   as codes; in ONNX the narrowest integers that hold them: INT2 (opset 25), INT4
           and INT16 (opset 21), INT8 (opset 17), which are decoded at every run
  int8     as codes of 8 bits, for ONNX runtimes without the narrower ones
  float32  as what the codes stand for: larger, and nothing is decoded at a run
ONNX Runtime reads opset 25 from version 1.24 on. Which one a file needs is said when it is
written.`,
		Example: `  bittern export list
  bittern export 3f2a --output network.onnx
  bittern export --suite char-small --quantizer stochastic-ternary --weights float32
  bittern export 3f2a --format safetensors --output - | xxd | head`,
		Args: func(command *cobra.Command, args []string) error {
			if len(args) > 1 {
				return plugins.Problemf("name one experiment, not %d; see %s --help", len(args), command.CommandPath())
			}
			return nil
		},
		RunE: func(command *cobra.Command, args []string) error {
			settings := exportSettings{choice: choice{Runs: defaultRuns}, Format: string(export.Formats[0]), Weights: string(export.Weights[0])}
			if err := settle(command, &settings); err != nil {
				return err
			}
			if len(args) == 1 {
				settings.id = args[0]
			}
			return p.export(command.Context(), settings)
		},
		ValidArgsFunction: func(command *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return completions(command, func(e store.Experiment) string { return e.ID + "\t" + title(e) }), cobra.ShellCompDirectiveNoFileComp
		},
	}
	flags := command.Flags()
	flags.String("format", string(export.Formats[0]), joined(export.Formats))
	flags.String("weights", string(export.Weights[0]), joined(export.Weights))
	flags.Bool("carried", false, "give an ONNX model inputs and outputs for the states, so that sequences go on from call to call")
	flags.String("output", "", "file to write, - for standard output; without it TASK-MODEL-QUANTIZER-SEED.FORMAT in the working folder")
	flags.Bool("force", false, "replace a file that is there")
	offer(command, "format", export.Formats...)
	offer(command, "weights", export.Weights...)
	list := &cobra.Command{
		Use: "list", Short: "List the trained networks of the run store with their IDs", Args: noArguments,
		Example: `  bittern export list
  bittern export list --suite char-small --format json`,
		RunE: func(command *cobra.Command, _ []string) error { return p.listNetworks(command) },
	}
	listFlags(list)
	for _, c := range []*cobra.Command{command, list} {
		choiceFlags(c)
	}
	command.AddCommand(list)
	return command
}

func joined[T ~string](names []T) string {
	var texts []string
	for _, name := range names {
		texts = append(texts, string(name))
	}
	return strings.Join(texts, ", ")
}

func (p *program) export(ctx context.Context, settings exportSettings) error {
	options := export.Options{Format: export.Format(settings.Format), Weights: onnx.Weights(settings.Weights), Carried: settings.Carried}
	if err := options.Check(); err != nil {
		return err
	}
	of, network, err := settings.network(ctx)
	if err != nil {
		return err
	}
	version := provenance.Collect(ctx).Commit
	if settings.Output == standardOutput {
		if p.stdout.columns() > 0 {
			return plugins.Problemf("standard output is a terminal, which cannot show %s; send it to a file or a program, or name a file with --output", options.Format)
		}
		_, err := export.Write(p.stdout, network, of, version, options)
		return err
	}
	path := settings.Output
	if path == "" {
		path = fileName(of) + "." + settings.Format
	}
	if !settings.Force {
		if err := checkNew(path); err != nil {
			return err
		}
	}
	var summary string
	err = writeFile(path, func(w io.Writer) (err error) {
		summary, err = export.Write(w, network, of, version, options)
		return err
	})
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.stdout, "%s: %s; %s (%.1f KB)\n", path, title(of), summary, float64(info.Size())/1000)
	return err
}

// fileName returns a file name made of an experiment's labels, which may have any characters.
func fileName(of store.Experiment) string {
	return strings.Map(func(r rune) rune {
		if r < 128 && (r == '-' || r == '.' || r == '_' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z') {
			return r
		}
		return '_'
	}, fmt.Sprintf("%s-%s-%s-%d", of.Task, of.Model, of.Quantizer, of.Seed))
}

// checkNew returns an error if a file exists.
func checkNew(path string) error {
	info, err := os.Stat(path)
	if err != nil || info.IsDir() {
		return nil // writeFile returns the error
	}
	return plugins.Problemf("%s is there already; replace it with --force, or name another file with --output", path)
}

func (p *program) listNetworks(command *cobra.Command) error {
	settings := struct {
		choice `mapstructure:",squash"`
		Format string `mapstructure:"format"`
	}{choice{Runs: defaultRuns}, formatMarkdown}
	if err := settle(command, &settings); err != nil {
		return err
	}
	if err := (listSettings{Format: settings.Format}).check(); err != nil {
		return err
	}
	found, err := settings.experiments(command.Context())
	if err != nil {
		return err
	}
	found = slices.DeleteFunc(found, func(e store.Experiment) bool { return finished(e) != nil })
	if settings.Format == formatJSON {
		return p.json(networksOf(found))
	}
	t := table.New("ID", "task", "model", "quantizer", "seed", "bits", "test", "KB deployed")
	for _, n := range networksOf(found) {
		bits, test := "n/a", "n/a" // networks that an older version froze have neither
		if n.Bits > 0 {
			bits = fmt.Sprintf("%.4g", n.Bits)
		}
		if n.Test != nil {
			test = fmt.Sprintf("%.4g %s", *n.Test, n.Metric)
		}
		if err := t.Append(n.ID, n.Task, n.Model, n.Quantizer, fmt.Sprint(n.Seed), bits, test, fmt.Sprintf("%.1f", float64(n.Bytes)/1000)); err != nil {
			return err
		}
	}
	return t.Write(p.stdout)
}

// listedNetwork is a line of the list of networks.
type listedNetwork struct {
	ID        string   `json:"id"`
	Task      string   `json:"task"`
	Model     string   `json:"model"`
	Quantizer string   `json:"quantizer"`
	Seed      uint64   `json:"seed"`
	Bits      float64  `json:"bits_per_weight,omitempty"`
	Metric    string   `json:"metric"`
	Test      *float64 `json:"test,omitempty"` // of the frozen model
	Bytes     int64    `json:"deployed_bytes"`
}

func networksOf(experiments []store.Experiment) []listedNetwork {
	list := []listedNetwork{}
	for _, e := range experiments {
		list = append(list, listedNetwork{e.ID, e.Task, e.Model, e.Quantizer, e.Seed, e.BitsPerWeight(), e.Metric, e.FrozenModel, e.DeployedBytes})
	}
	return list
}
