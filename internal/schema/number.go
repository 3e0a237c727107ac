package schema

import (
	"cmp"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/coggo/coggo/internal/jsonscan"
)

// decimal is the parts of a number's text. Numbers stay text, so that large integers keep every
// digit.
type decimal struct {
	negative                  bool
	whole, fraction, exponent string
}

// parseDecimal parses a number as people type it. It allows spaces around it, a plus sign, leading
// zeros, ".5" and "5.".
func parseDecimal(text string) (d decimal, ok bool) {
	text = strings.TrimSpace(text)
	d.negative, text = cutSign(text)
	if at := strings.IndexAny(text, "eE"); at >= 0 {
		d.exponent, text = text[at+1:], text[:at]
		if _, digits := cutSign(d.exponent); !allDigits(digits) {
			return d, false
		}
	}
	d.whole, d.fraction, _ = strings.Cut(text, ".")
	return d, allDigits(d.whole + d.fraction)
}

func cutSign(text string) (negative bool, rest string) {
	if rest, negative = strings.CutPrefix(text, "-"); negative {
		return true, rest
	}
	return false, strings.TrimPrefix(text, "+")
}

func allDigits(text string) bool {
	for i := range len(text) {
		if !jsonscan.IsDigit(text[i]) {
			return false
		}
	}
	return text != ""
}

// integer returns d as the text of a JSON integer; ok is false if d has a fraction or is too long.
func (d decimal) integer() (text string, ok bool) {
	digits := strings.TrimLeft(d.whole+d.fraction, "0")
	if digits == "" {
		return "0", true
	}
	exponent, err := strconv.Atoi(cmp.Or(d.exponent, "0"))
	if err != nil {
		return "", false
	}
	significant := strings.TrimRight(digits, "0")
	zeros := len(digits) - len(significant) + exponent - len(d.fraction)
	if zeros < 0 || zeros > jsonscan.MaxDigits || len(significant)+zeros > jsonscan.MaxDigits {
		return "", false
	}
	if d.negative {
		significant = "-" + significant
	}
	return significant + strings.Repeat("0", zeros), true
}

// float returns d as the text of a JSON number that every parser reads as a float.
func (d decimal) float() string {
	text := cmp.Or(strings.TrimLeft(d.whole, "0"), "0")
	if d.negative {
		text = "-" + text
	}
	switch {
	case d.fraction != "":
		text += "." + d.fraction
	case d.exponent == "":
		text += ".0"
	}
	if d.exponent != "" {
		text += "e" + d.exponent
	}
	return text
}

// bound is a minimum or a maximum as the model's author wrote it.
type bound struct {
	text string
	rat  *big.Rat
	// The same number, if these types represent it exactly, for a comparison without allocation.
	int64   int64
	isInt64 bool
	float64 float64
	isFloat bool
}

func newBound(text string) (*bound, error) {
	b := &bound{text: text, rat: new(big.Rat)}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil, fmt.Errorf("%s is not a finite number", text)
	}
	// A number with a fraction means Python's float of it, an integer means exactly itself.
	if strings.ContainsAny(text, ".eE") {
		b.rat.SetFloat64(f)
	} else if _, ok := b.rat.SetString(text); !ok {
		return nil, fmt.Errorf("%s is not a number", text)
	}
	b.float64, b.isFloat = b.rat.Float64()
	if b.rat.IsInt() && b.rat.Num().IsInt64() {
		b.int64, b.isInt64 = b.rat.Num().Int64(), true
	}
	return b, nil
}

// limit is a bound with its direction.
type limit struct {
	*bound
	least  bool // a minimum
	strict bool // the bound itself does not fit
}

// broken returns the type and the message of the problem with a value that compares so with the
// bound; empty if the value fits.
func (l limit) broken(compared int) (kind, msg string) {
	switch {
	case l.least && compared < 0 && !l.strict:
		return "greater_than_equal", "must be at least " + l.text
	case l.least && compared <= 0 && l.strict:
		return "greater_than", "must be greater than " + l.text
	case !l.least && compared > 0 && !l.strict:
		return "less_than_equal", "must be at most " + l.text
	case !l.least && compared >= 0 && l.strict:
		return "less_than", "must be less than " + l.text
	}
	return "", ""
}

// dividesInteger reports whether the text of an integer is a multiple of b.
func (b *bound) dividesInteger(text string) bool {
	n, _ := new(big.Int).SetString(text, 10)
	return new(big.Rat).Quo(new(big.Rat).SetInt(n), b.rat).IsInt()
}

// roundingError is how far a quotient may be from an integer, relative to the float.
const roundingError = 1e-9

// dividesFloat reports whether a finite float is about a multiple of b: for pydantic too, 0.3 is a
// multiple of 0.1.
func (b *bound) dividesFloat(f float64) bool {
	rest := math.Abs(math.Mod(f, b.float64))
	near := math.Abs(f) * roundingError
	return rest <= near || b.float64-rest <= near
}

// compareInteger compares the text of an integer with b, as cmp.Compare does.
func (b *bound) compareInteger(text string) int {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && b.isInt64 {
		return cmp.Compare(n, b.int64)
	}
	n, _ := new(big.Int).SetString(text, 10)
	return new(big.Rat).SetInt(n).Cmp(b.rat)
}

// compareFloat compares a finite float with b, as cmp.Compare does.
func (b *bound) compareFloat(f float64) int {
	if b.isFloat {
		return cmp.Compare(f, b.float64)
	}
	return new(big.Rat).SetFloat64(f).Cmp(b.rat)
}
