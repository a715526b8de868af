// Package chart draws numbers as text.
package chart

import (
	"slices"
	"strings"
)

var levels = []rune("▁▂▃▄▅▆▇█")

// Sparkline draws one character for each number, in their order. The highest is a full block; zero, and what is
// below, is the lowest one. Without numbers it is empty.
func Sparkline(values []int64) string {
	if len(values) == 0 {
		return ""
	}
	highest := slices.Max(values)
	line := make([]rune, len(values))
	for i, value := range values {
		line[i] = levels[0]
		if highest > 0 && value > 0 {
			// In floating point, as a product of counts can be more than an int64 holds.
			line[i] = levels[int(float64(value)/float64(highest)*float64(len(levels)-1)+0.5)]
		}
	}
	return string(line)
}

var eighths = []string{"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"}

// Bar draws a number as a part of the highest, of which the bar is width characters long. Whatever is above
// zero can be seen.
func Bar(value, highest int64, width int) string {
	if value <= 0 || highest <= 0 || width <= 0 {
		return ""
	}
	steps := min(int(float64(value)/float64(highest)*float64(width*8)+0.5), width*8)
	steps = max(steps, 1)
	return strings.Repeat("█", steps/8) + eighths[steps%8]
}
