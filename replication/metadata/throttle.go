package metadata

import "strconv"

// The names of settings of brokers that hold the catching up of replicas to a rate, in bytes a second, at the node that leads and at the one that copies (Kafka documentation, "Broker Configs").
const (
	ThrottleLeader   = "leader.replication.throttled.rate"
	ThrottleFollower = "follower.replication.throttled.rate"
)

// BrokerSettingKey is the key of a setting of a broker, by its id in decimal, or for an empty one, of all brokers that have none of their own.
func BrokerSettingKey(broker, name string) SettingKey {
	return SettingKey{Scope: "broker", Entity: broker, Name: name}
}

// maxThrottle is a rate that is as good as none; Kafka's default is the largest number there is.
const maxThrottle = 1 << 50

// ThrottledRate is the rate of a broker, negative if there is none.
func (img *Image) ThrottledRate(name string, broker int32) int64 {
	for _, entity := range []string{strconv.Itoa(int(broker)), ""} {
		v, ok := img.Setting(BrokerSettingKey(entity, name))
		if n, err := strconv.ParseInt(v, 10, 64); ok && err == nil && n >= 0 {
			if n > maxThrottle {
				return -1
			}
			return n
		}
	}
	return -1
}
