package bench

import "context"

// Bench is how the lines are timed.
type Bench struct {
	Threads  int
	Runs     int // counted runs of each line, after one that is not counted
	Peers    *Peers
	Progress func(line string)
}

func newLine(name string, ours Sample) Line {
	return Line{Name: name, Ours: ours, Others: map[string]Sample{}, Missing: map[string]string{}}
}

// hold sets the line against another's sample, or notes why there is none.
func (l *Line) hold(against string, other Sample, reason string, goals ...Goal) {
	if reason != "" {
		l.Missing[against] = reason
	} else {
		l.Others[against] = other
	}
	for _, goal := range goals {
		goal.Against = against
		l.Goals = append(l.Goals, goal)
	}
}

// Group is a set of lines that is timed together.
type Group struct {
	Name string
	Run  func(b *Bench, ctx context.Context) ([]Line, error)
}
