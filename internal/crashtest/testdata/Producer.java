import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Apache Kafka's own producer with its defaults, which are idempotent and acks=all: writes each "KEY VALUE" of its input and says "ok KEY" or "error KEY WHY".
 *
 * <p>usage: Producer BROKERS TOPIC
 */
public class Producer {
  public static void main(String[] args) throws Exception {
    var input = new BufferedReader(new InputStreamReader(System.in));
    try (var producer =
        new KafkaProducer<>(Map.of("bootstrap.servers", args[0]), new StringSerializer(), new StringSerializer())) {
      for (String line; (line = input.readLine()) != null; ) {
        var parts = line.split(" ", 2);
        try {
          producer.send(new ProducerRecord<>(args[1], parts[0], parts[1])).get();
          System.out.println("ok " + parts[0]);
        } catch (ExecutionException e) {
          System.out.println("error " + parts[0] + " " + e.getCause().toString().replace('\n', ' '));
        }
      }
    }
  }
}
