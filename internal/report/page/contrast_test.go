package page

import (
	"math"
	"regexp"
	"strconv"
	"testing"
)

// TestContrast: every colour of text on every ground has what WCAG 2 asks for at level
// AA, 4.5 to 1; in the light, in the dark and on paper.
func TestContrast(t *testing.T) {
	modes := regexp.MustCompile(`:root \{[^}]*\}`).FindAllString(style, -1)
	if len(modes) != 3 {
		t.Fatalf("%d sets of colours", len(modes))
	}
	for _, mode := range modes {
		colours := map[string]float64{}
		for _, m := range regexp.MustCompile(`--(\w+): #([0-9a-f]+);`).FindAllStringSubmatch(mode, -1) {
			colours[m[1]] = luminance(t, m[2])
		}
		for _, ground := range []string{"paper", "tint"} {
			for _, text := range []string{"ink", "soft", "shell", "alert"} {
				bright, dark := max(colours[ground], colours[text]), min(colours[ground], colours[text])
				if ratio := (bright + 0.05) / (dark + 0.05); ratio < 4.5 {
					t.Errorf("%s on %s: %.2f to 1 in %s", text, ground, ratio, mode)
				}
			}
		}
	}
}

// luminance of a colour, as WCAG defines it.
func luminance(t *testing.T, hex string) float64 {
	if len(hex) == 3 {
		hex = string([]byte{hex[0], hex[0], hex[1], hex[1], hex[2], hex[2]})
	}
	sum := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, err := strconv.ParseUint(hex[2*i:2*i+2], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		c := float64(n) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}
