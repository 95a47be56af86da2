package kafka

// Served calls f for every key that is served, with its versions.
func Served(f func(key, low, high int16)) {
	for key, a := range apis {
		f(key, a.min, a.max)
	}
}
