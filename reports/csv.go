package reports

import (
	"encoding/csv"
	"io"
	"strconv"
)

func (r *Report) csv(w io.Writer) error {
	out := csv.NewWriter(w)
	records := [][]string{{"suite", "task", "model", "quantizer", "normalization", "backend", "metric", "seeds",
		"deployable", "deployable_std", "paper_style", "paper_style_std", "recurrent_bytes", "deployment_bytes", "energy_joules", "seconds", "cost_measured"}}
	number := func(f *float64) string {
		if f == nil {
			return "n/a"
		}
		return strconv.FormatFloat(*f, 'g', -1, 64)
	}
	for _, row := range r.Rows {
		records = append(records, []string{r.Suite, row.Task, row.Model, row.Quantizer, row.Normalization, row.Backend, row.Metric,
			strconv.Itoa(len(row.Seeds)), number(row.Deployable.Mean), number(row.Deployable.Std),
			number(row.PaperStyle.Mean), number(row.PaperStyle.Std), number(&row.RecurrentBytes), number(&row.DeployedBytes),
			number(row.Energy.Mean), number(row.Seconds.Mean), strconv.FormatBool(row.Measured)})
	}
	return out.WriteAll(records)
}
