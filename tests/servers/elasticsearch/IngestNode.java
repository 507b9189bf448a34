import java.nio.file.Path;
import java.util.List;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.ingest.common.IngestCommonPlugin;
import org.elasticsearch.node.Node;
import org.elasticsearch.painless.PainlessPlugin;
import org.elasticsearch.script.mustache.MustachePlugin;
import org.elasticsearch.transport.Netty4Plugin;

/** An Elasticsearch node with the processors of ingest pipelines. Arguments: its folder and its port on loopback. */
public class IngestNode extends Node {
    IngestNode(Settings settings) {
        super(
            new Environment(settings, Path.of(settings.get("path.home"), "config")),
            List.of(Netty4Plugin.class, IngestCommonPlugin.class, PainlessPlugin.class, MustachePlugin.class),
            false
        );
    }

    public static void main(String[] arguments) throws Exception {
        Settings settings = Settings.builder()
            .put("path.home", arguments[0])
            .put("http.port", arguments[1])
            .put("transport.port", "0")
            .put("network.host", "127.0.0.1")
            .put("discovery.type", "single-node")
            .put("transport.type", "netty4")
            .put("http.type", "netty4")
            .put("cluster.routing.allocation.disk.threshold_enabled", false)
            .build();
        new IngestNode(settings).start();
        Thread.currentThread().join();
    }
}
