-- DB instance "orders", RDS for MySQL. What RDS puts into a new instance, and some data.

-- The master user holds what RDS 8.0.36 and later give it, through a role. Its own password is set when a world starts.
CREATE ROLE rds_superuser_role;
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, RELOAD, PROCESS, REFERENCES, INDEX, ALTER, SHOW DATABASES,
  CREATE TEMPORARY TABLES, LOCK TABLES, EXECUTE, REPLICATION SLAVE, REPLICATION CLIENT, CREATE VIEW, SHOW VIEW,
  CREATE ROUTINE, ALTER ROUTINE, CREATE USER, EVENT, TRIGGER, CREATE ROLE, DROP ROLE
  ON *.* TO rds_superuser_role WITH GRANT OPTION;
GRANT APPLICATION_PASSWORD_ADMIN, ROLE_ADMIN, SET_USER_ID, XA_RECOVER_ADMIN
  ON *.* TO rds_superuser_role WITH GRANT OPTION;
CREATE USER admin@'%' IDENTIFIED BY 'until-the-world-starts';
GRANT rds_superuser_role TO admin@'%';
SET DEFAULT ROLE rds_superuser_role TO admin@'%';

CREATE USER rdsadmin@localhost IDENTIFIED BY 'until-the-world-starts';
GRANT ALL PRIVILEGES ON *.* TO rdsadmin@localhost WITH GRANT OPTION;

-- Whoever lacks CONNECTION_ADMIN ends other users' sessions with these.
DELIMITER //
CREATE DEFINER=rdsadmin@localhost PROCEDURE mysql.rds_kill(IN thread BIGINT)
BEGIN
  IF EXISTS (SELECT 1 FROM information_schema.processlist WHERE id = thread AND user IN ('rdsadmin', 'event_scheduler')) THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'Cannot kill RDS_ADMIN thread.';
  END IF;
  KILL thread;
END//
CREATE DEFINER=rdsadmin@localhost PROCEDURE mysql.rds_kill_query(IN thread BIGINT)
BEGIN
  IF EXISTS (SELECT 1 FROM information_schema.processlist WHERE id = thread AND user IN ('rdsadmin', 'event_scheduler')) THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'Cannot kill RDS_ADMIN thread.';
  END IF;
  KILL QUERY thread;
END//
DELIMITER ;

-- An account that was here before the operator came.
CREATE USER legacy_app@'%' IDENTIFIED BY 'until-the-world-starts';

-- In a pattern the underscore of orders_archive would also open ordersXarchive.
CREATE DATABASE orders;
CREATE TABLE orders.orders (id INT PRIMARY KEY AUTO_INCREMENT, item VARCHAR(40) NOT NULL, quantity INT NOT NULL);
INSERT INTO orders.orders (item, quantity) VALUES ('lamp', 2), ('chair', 4), ('table', 1);
CREATE DATABASE orders_archive;
CREATE TABLE orders_archive.orders LIKE orders.orders;
INSERT INTO orders_archive.orders (item, quantity) VALUES ('shelf', 3);
CREATE DATABASE ordersXarchive;
CREATE TABLE ordersXarchive.orders LIKE orders.orders;
INSERT INTO ordersXarchive.orders (item, quantity) VALUES ('secret', 7);
GRANT SELECT, INSERT ON orders.* TO legacy_app@'%';

DELIMITER //
CREATE DEFINER=rdsadmin@localhost PROCEDURE orders.restock(IN wanted VARCHAR(40))
BEGIN
  UPDATE orders.orders SET quantity = quantity + 1 WHERE item = wanted;
END//
CREATE DEFINER=rdsadmin@localhost FUNCTION orders.in_stock(wanted VARCHAR(40)) RETURNS INT READS SQL DATA
BEGIN
  RETURN (SELECT COALESCE(SUM(quantity), 0) FROM orders.orders WHERE item = wanted);
END//
DELIMITER ;
