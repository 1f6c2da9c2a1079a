package recurrent

import "errors"

// Export implements [Layer].
func (l *layer) Export(w Weights, e Export) (string, error) {
	return "", errors.New("not yet")
}
