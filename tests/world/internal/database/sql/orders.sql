-- DB instance "orders", RDS for MySQL: some data.

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
