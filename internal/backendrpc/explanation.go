package backendrpc

import (
	backendv1 "bittern/internal/wire/bittern/backend/v1"
	"bittern/plugins"
	"bittern/plugins/backend"
)

func encodeExplanation(e backend.Explanation) *backendv1.ExplainResponse {
	m := &backendv1.ExplainResponse{Notes: e.Notes}
	for _, c := range e.Constants {
		m.Constants = append(m.Constants, &backendv1.Constant{Name: c.Name, Value: c.Value, Unit: c.Unit, Node: c.Node, Source: c.Source})
	}
	for _, f := range e.Formulas {
		m.Formulas = append(m.Formulas, &backendv1.Formula{Quantity: f.Quantity, Expression: f.Expression})
	}
	for _, r := range e.Calibration {
		m.Calibration = append(m.Calibration, &backendv1.Residual{
			Machine: r.Machine, Quantity: r.Quantity, Unit: r.Unit, Published: r.Published,
			BottomUp: r.BottomUp, Fitted: r.Fitted, InFit: r.InFit, Source: r.Source,
		})
	}
	return m
}

// decodeExplanation is the inverse of encodeExplanation, except that it makes every text one
// printable line ([plugins.Line]).
func decodeExplanation(m *backendv1.ExplainResponse) backend.Explanation {
	line := plugins.Line
	e := backend.Explanation{Notes: plugins.Lines(m.GetNotes())}
	for _, c := range m.GetConstants() {
		e.Constants = append(e.Constants, backend.Constant{
			Name: line(c.GetName()), Value: c.GetValue(), Unit: line(c.GetUnit()), Node: line(c.GetNode()), Source: line(c.GetSource()),
		})
	}
	for _, f := range m.GetFormulas() {
		e.Formulas = append(e.Formulas, backend.Formula{Quantity: line(f.GetQuantity()), Expression: line(f.GetExpression())})
	}
	for _, r := range m.GetCalibration() {
		e.Calibration = append(e.Calibration, backend.Residual{
			Machine: line(r.GetMachine()), Quantity: line(r.GetQuantity()), Unit: line(r.GetUnit()), Published: r.GetPublished(),
			BottomUp: r.GetBottomUp(), Fitted: r.GetFitted(), InFit: r.GetInFit(), Source: line(r.GetSource()),
		})
	}
	return e
}
