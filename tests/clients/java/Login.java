import java.io.Reader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.util.Properties;

/** Logs in by JDBC from the files of a mounted Secret, and prints who the server takes it for. */
public final class Login {
  private Login() {}

  public static void main(String[] args) throws Exception {
    Path folder = Path.of(args[0]);
    Properties properties = new Properties();
    try (Reader file = Files.newBufferedReader(folder.resolve("jdbc.properties"))) {
      properties.load(file);
    }
    // The URL chooses the driver; either speaks with either server.
    String url = ((String) properties.remove("url")).replaceFirst("^jdbc:[a-z]+:", "jdbc:" + args[1] + ":");
    try (Connection connection = DriverManager.getConnection(url, properties);
        ResultSet rows = connection.createStatement().executeQuery("SELECT CURRENT_USER()")) {
      rows.next();
      System.out.println(rows.getString(1));
    }
  }
}
