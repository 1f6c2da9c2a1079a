package gates

import "fmt"

// Moments sets, for every column j < len(mean) of the rows of x,
//
//	mean[j] = Σᵣ x[r,j] / rows
//	rstd[j] = 1/√(Σᵣ (x[r,j]−mean[j])² / rows + epsilon)
//
// that is the biased variance, centred before it is squared.
func Moments(mean, rstd []float32, x Gathered, rows int, epsilon float32) {
	if rows < 1 {
		panic(fmt.Sprintf("gates: Moments of %d rows", rows))
	}
	checkVector("Moments' rstd", rstd, len(mean))
	x.check("Moments' x", rows, len(mean))
	active().moments(mean, rstd, x, rows, epsilon)
}

// Fold combines the statistics and parameters of a normalisation into one scale and
// shift, so that γ·(x−mean)·rstd + β = scale·x + shift:
//
//	scale[j] = gamma[j]·rstd[j]
//	shift[j] = beta[j] − scale[j]·mean[j]
//
// shift may be beta; folding a second normalisation with the first one's shift
// as beta gives the shift of their sum.
func Fold(scale, shift, gamma, beta, mean, rstd []float32) {
	n := len(scale)
	checkVector("Fold's shift", shift, n)
	checkVector("Fold's gamma", gamma, n)
	checkVector("Fold's beta", beta, n)
	checkVector("Fold's mean", mean, n)
	checkVector("Fold's rstd", rstd, n)
	active().fold(scale, shift, gamma, beta, mean, rstd)
}

// Statistics are the mean and the reciprocal standard deviation of each column
// that a normalisation used.
type Statistics struct {
	Mean, RStd []float32

	// Batch is set where the statistics were computed from these same rows, so that
	// the gradient flows through them too. Otherwise they are constants.
	Batch bool

	// Count is how many of the rows the statistics were computed from, 0 = all. The
	// incoming gradient of the other rows must be 0; the one that is written for
	// them is finite and otherwise undefined.
	Count int
}

// count is the number of rows that the statistics were taken from.
func (s Statistics) count(rows int) int {
	if s.Count > 0 {
		return s.Count
	}
	return rows
}

// AffineGradient is the backward pass of y = γ·x̂ + β for one product.
type AffineGradient struct {
	Rows, Columns int

	Gradient   Matrix   // ∂L/∂y
	Product    Gathered // before normalisation
	Statistics Statistics
	Gamma      []float32

	// Outputs. Backward adds to the parameters' gradients. ProductGradient may be
	// Product or Gradient. Where Product is gathered, ProductGradient belongs to the
	// matrix it is gathered from, and Backward adds to the rows that the order names.
	BetaGradient, GammaGradient []float32
	ProductGradient             Matrix
}

// Backward computes what one side of [AffinePairGradient.Backward] does.
func (g AffineGradient) Backward() {
	g.Gradient.check("AffineGradient.Gradient", g.Rows, g.Columns)
	named := g.Product.check("AffineGradient.Product", g.Rows, g.Columns)
	g.ProductGradient.check("AffineGradient.ProductGradient", named, g.Columns)
	checkVector("AffineGradient.Statistics.Mean", g.Statistics.Mean, g.Columns)
	checkVector("AffineGradient.Statistics.RStd", g.Statistics.RStd, g.Columns)
	checkVector("AffineGradient.Gamma", g.Gamma, g.Columns)
	checkVector("AffineGradient.BetaGradient", g.BetaGradient, g.Columns)
	checkVector("AffineGradient.GammaGradient", g.GammaGradient, g.Columns)
	active().affineBackward(g)
}

// AffinePairGradient is the backward pass of a = γh·ĥ + γx·x̂ + β, the sum of
// two normalised products that share the bias: one gate of the cell.
type AffinePairGradient struct {
	Rows, Columns int

	Gradient                          Matrix // ∂L/∂a
	Hidden                            Matrix // the products before normalisation
	Input                             Gathered
	HiddenStatistics, InputStatistics Statistics
	HiddenGamma, InputGamma           []float32

	// Outputs. Backward adds to the parameters' gradients. Each of the matrices may
	// be one of the matrices above, but not both the same one.
	//
	// Where Input is gathered, InputGradient belongs to the matrix it is gathered
	// from, and Backward adds to the rows that Input's order names. Where Input is
	// scalar, InputGradient and InputGamma are not used.
	BetaGradient, HiddenGammaGradient, InputGammaGradient []float32
	HiddenGradient, InputGradient                         Matrix
}

// Backward computes, with da the gradient and sums over the rows of column j,
//
//	BetaGradient        += Σ da
//	HiddenGammaGradient += Σ da·ĥ
//	InputGammaGradient  += Σ da·x̂
//	HiddenGradient = γh·rstd_h·(da − Σda/Rows − ĥ·Σ(da·ĥ)/Rows)
//	InputGradient  = γx·rstd_x·(da − Σda/Rows − x̂·Σ(da·x̂)/Rows)
//
// A side without batch statistics has only the first term, γ·rstd·da.
func (g AffinePairGradient) Backward() {
	g.Gradient.check("AffinePairGradient.Gradient", g.Rows, g.Columns)
	g.Hidden.check("AffinePairGradient.Hidden", g.Rows, g.Columns)
	named := g.Input.checkInput("AffinePairGradient.Input", g.Rows, g.Columns)
	g.HiddenGradient.check("AffinePairGradient.HiddenGradient", g.Rows, g.Columns)
	if !g.Input.Scalar {
		g.InputGradient.check("AffinePairGradient.InputGradient", named, g.Columns)
		checkVector("AffinePairGradient.InputGamma", g.InputGamma, g.Columns)
	}
	checkVector("AffinePairGradient.HiddenStatistics.Mean", g.HiddenStatistics.Mean, g.Columns)
	checkVector("AffinePairGradient.HiddenStatistics.RStd", g.HiddenStatistics.RStd, g.Columns)
	checkVector("AffinePairGradient.InputStatistics.Mean", g.InputStatistics.Mean, g.Columns)
	checkVector("AffinePairGradient.InputStatistics.RStd", g.InputStatistics.RStd, g.Columns)
	checkVector("AffinePairGradient.HiddenGamma", g.HiddenGamma, g.Columns)
	checkVector("AffinePairGradient.BetaGradient", g.BetaGradient, g.Columns)
	checkVector("AffinePairGradient.HiddenGammaGradient", g.HiddenGammaGradient, g.Columns)
	checkVector("AffinePairGradient.InputGammaGradient", g.InputGammaGradient, g.Columns)
	active().affinePairBackward(g)
}

// SumColumns adds the sum of each column j < len(sum) of the rows of x to
// sum[j]: the gradient of a bias without normalisation.
func SumColumns(sum []float32, x Matrix, rows int) {
	x.check("SumColumns' x", rows, len(sum))
	active().sumColumns(sum, x, rows)
}
