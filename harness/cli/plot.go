package cli

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"bittern/harness/store"
	"bittern/plugins"
	"bittern/reports"
	"bittern/reports/plot"
)

// plotSettings are runSettings and the flags that only plot has.
type plotSettings struct {
	runSettings `mapstructure:",squash"`
	DPI         float64 `mapstructure:"dpi"`
}

// The formats of a plot, which are also the extensions of its files.
const (
	svg = "svg"
	png = "png"
)

var plotFormats = []cobra.Completion{
	cobra.CompletionWithDesc(svg, "drawn with lines, for papers and pages"),
	cobra.CompletionWithDesc(png, "of pixels"),
}

// defaultDPI is the resolution that journals usually ask for line drawings at least, in dots per
// inch.
const defaultDPI = 300

func (p *program) plotCommand() *cobra.Command {
	var about []string
	var kinds []cobra.Completion
	for _, k := range plot.Kinds() {
		about = append(about, fmt.Sprintf("  %-7s %s", k.Name, k.About))
		kinds = append(kinds, cobra.CompletionWithDesc(k.Name, k.About))
	}
	command := &cobra.Command{
		Use: "plot KIND --suite NAME|FILE", Short: "Draw a suite's figures from the run store: curves, scores against memory and energy, parts",
		Long: `Plot draws what the run store has of a suite, without training: a figure for each task
and metric, and of some kinds for each backend. The kinds:

` + strings.Join(about, "\n") + `

Each figure is a file of its own in the folder --output, or --output names the file,
or is - for standard output, where there is one figure. What a figure shows and what
it leaves out is printed beside its path, and is the description of an SVG.`,
		Example: `  bittern plot memory --suite char-small
  bittern plot curves --suite char-small --output plots
  bittern plot energy --suite char-small --backends asic-lowpower --output energy.png
  bittern plot memory --suite paper --task warpeace --output - | rsvg-convert -f pdf -o memory.pdf`,
		Args: func(command *cobra.Command, args []string) error {
			if len(args) != 1 {
				return plugins.Problemf("name the kind of plot, one of %s; see %s --help", strings.Join(plotKinds(), ", "), command.CommandPath())
			}
			_, err := plot.Find(args[0])
			return err
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return kinds, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(command *cobra.Command, args []string) error {
			settings := plotSettings{runSettings: defaults(), DPI: defaultDPI}
			settings.Output = "."
			if err := settle(command, &settings); err != nil {
				return err
			}
			return p.plot(command.Context(), args[0], settings)
		},
	}
	suiteFlag(command)
	runsFlag(command)
	selectionFlags(command)
	flags := command.Flags()
	flags.String("output", ".", "folder of the figures, or the file of a single one; - is standard output")
	flags.String("format", svg, "svg or png; without it what the name of --output ends with")
	flags.Float64("dpi", defaultDPI, fmt.Sprintf("dots per inch of png, %d to %d", plot.MinDPI, plot.MaxDPI))
	offer(command, "format", plotFormats...)
	return command
}

func plotKinds() (names []string) {
	for _, k := range plot.Kinds() {
		names = append(names, k.Name)
	}
	return names
}

func (p *program) plot(ctx context.Context, kind string, settings plotSettings) error {
	format, err := settings.format()
	if err != nil {
		return err
	}
	var figures []plot.Figure
	var missing string
	var unfinished int
	err = withRecorded(ctx, settings.runSettings, func(runs *store.Store, name string, selection reports.Selection) error {
		report, err := reports.Collect(ctx, runs, name, selection)
		if err != nil {
			return err
		}
		if kind == plot.Curves {
			report.ReadTraining()
		}
		unfinished = len(report.Unfinished)
		figures, missing, err = plot.Draw(report, kind)
		return err
	})
	if err != nil {
		return err
	}
	drawings := make([][]byte, len(figures))
	for i, f := range figures {
		var drawing bytes.Buffer
		if format == png {
			err = f.PNG(&drawing, settings.DPI)
		} else {
			err = f.SVG(&drawing)
		}
		if err != nil {
			return err
		}
		drawings[i] = drawing.Bytes()
	}
	if unfinished > 0 {
		fmt.Fprintf(p.stderr, "experiments or deployments without a result, which are not drawn: %d; bittern report lists them\n", unfinished)
	}
	if missing != "" {
		fmt.Fprintln(p.stderr, missing)
	}
	return p.place(figures, drawings, settings.Output, format)
}

// format returns the format that the user asked for, or else that of the output file, or svg.
func (s plotSettings) format() (string, error) {
	extension := fileFormat(s.Output)
	switch s.Format {
	case "":
		return cmp.Or(extension, svg), nil
	case svg, png:
		if extension != "" && extension != s.Format {
			return "", plugins.Problemf("--output %s ends with .%s, but --format is %s; make them agree, or leave --format out", s.Output, extension, s.Format)
		}
		return s.Format, nil
	}
	return "", plugins.Problemf("there is no format %q of plots%s; use svg or png", s.Format, plugins.DidYouMean(s.Format, []string{svg, png}))
}

// fileFormat returns the format that a path ends with, or "" for a folder.
func fileFormat(path string) string {
	extension := strings.ToLower(strings.TrimPrefix(filepath.Ext(path), "."))
	if slices.Contains([]string{svg, png}, extension) {
		return extension
	}
	return ""
}

// place writes the drawings to output, and prints where they are and what they show.
func (p *program) place(figures []plot.Figure, drawings [][]byte, output, format string) error {
	single := output == standardOutput || fileFormat(output) != ""
	if single && len(figures) > 1 {
		var ids []string
		for _, f := range figures {
			ids = append(ids, f.ID)
		}
		return plugins.Problemf("--output %s has room for one figure, but there are %d (%s); choose with --task and --backends, or name a folder", output, len(figures), strings.Join(ids, ", "))
	}
	if output == standardOutput {
		_, err := p.stdout.Write(drawings[0])
		return err
	}
	folder := output
	if single {
		folder = filepath.Dir(output)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return unwritten(err, folder)
	}
	for i, f := range figures {
		path := output
		if !single {
			path = filepath.Join(output, f.ID+"."+format)
		}
		if err := writeFile(path, func(w io.Writer) error {
			_, err := w.Write(drawings[i])
			return err
		}); err != nil {
			return err
		}
		if _, err := fmt.Fprintf(p.stdout, "%s: %s. %s\n", path, f.Title, f.Caption); err != nil {
			return err
		}
	}
	return nil
}
