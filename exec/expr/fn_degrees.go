package expr

import "math"

// Trigonometry in degrees (PostgreSQL docs, table 9.6). Angles are brought into the first quadrant, and there the functions are scaled so that
// they are exact at multiples of 30 and 45 degrees: sind(30) is 0.5.

func init() {
	for name, f := range map[string]func(float64) float64{"sind": sinDegrees, "cosd": cosDegrees, "tand": tanDegrees, "cotd": cotDegrees} {
		row(name+"(float8)", floatRow(func(x float64) (float64, error) {
			if math.IsInf(x, 0) {
				return 0, errInputRange
			}
			return f(x), nil
		}))
	}
	for name, f := range map[string]func(float64) float64{"asind": asinDegrees, "acosd": func(x float64) float64 { return 90 - asinDegrees(x) }} {
		row(name+"(float8)", floatRow(within(f, -1, 1)))
	}
	row("atand(float8)", exact(atanDegrees))
	row("atan2d(float8,float8)", floatRow2(func(y, x float64) (float64, error) { return math.Atan2(y, x) * (45 / math.Atan(1)), nil }))
}

// degree is a variable, so that these products are rounded as those of the functions are.
var degree = math.Pi / 180

var (
	sin30         = math.Sin(30 * degree)
	oneMinusCos60 = 1 - math.Cos(60*degree)
	tan45         = quadrantSin(45) / quadrantCos(45)
)

// quadrantSin is the sine of an angle from 0 to 90 degrees.
func quadrantSin(x float64) float64 {
	if x <= 30 {
		return math.Sin(x*degree) / sin30 / 2
	}
	return 1 - (1-math.Cos((90-x)*degree))/oneMinusCos60/2
}

func quadrantCos(x float64) float64 {
	if x <= 60 {
		return 1 - (1-math.Cos(x*degree))/oneMinusCos60/2
	}
	return math.Sin((90-x)*degree) / sin30 / 2
}

func sinDegrees(x float64) float64 {
	x = math.Mod(x, 360)
	sign := 1.0
	if x < 0 {
		x, sign = -x, -1
	}
	if x > 180 {
		x, sign = 360-x, -sign
	}
	if x > 90 {
		x = 180 - x
	}
	return sign * quadrantSin(x)
}

func cosDegrees(x float64) float64 {
	x = math.Abs(math.Mod(x, 360))
	sign := 1.0
	if x > 180 {
		x = 360 - x
	}
	if x > 90 {
		x, sign = 180-x, -1
	}
	return sign * quadrantCos(x)
}

// halfTurn brings an angle into the first quadrant of a function that repeats after 180 degrees and changes its sign with the angle's.
func halfTurn(x float64) (angle, sign float64) {
	x = math.Mod(x, 360)
	sign = 1
	if x < 0 {
		x, sign = -x, -1
	}
	if x > 180 {
		x, sign = 360-x, -sign
	}
	if x > 90 {
		x, sign = 180-x, -sign
	}
	return x, sign
}

func tanDegrees(x float64) float64 {
	x, sign := halfTurn(x)
	return positiveZero(sign * (quadrantSin(x) / quadrantCos(x) / tan45))
}

func cotDegrees(x float64) float64 {
	x, sign := halfTurn(x)
	return positiveZero(sign * (quadrantCos(x) / quadrantSin(x) / (1 / tan45)))
}

func positiveZero(x float64) float64 {
	if x == 0 {
		return 0
	}
	return x
}

func asinDegrees(x float64) float64 {
	switch {
	case x < 0:
		return -asinDegrees(-x)
	case x <= 0.5:
		return math.Asin(x) / math.Asin(0.5) * 30
	}
	return 90 - math.Acos(x)/math.Acos(0.5)*60
}

func atanDegrees(x float64) float64 { return math.Atan(x) / math.Atan(1) * 45 }
